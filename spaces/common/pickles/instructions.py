"""The instructions of a pickle that data need.

Codes and operands are those that the standard library's `pickletools` documents. Missing are all that call, import or
make instances of classes, and those that no pickle of data has.
"""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from spaces.common.pickles import operands
from spaces.common.pickles.arrays import NewArray, NewDtype, scalar
from spaces.common.pickles.machine import ABSENT, COSTS, Machine
from spaces.common.pickles.plain import check_plain, checked_keys
from spaces.common.pickles.stream import Bytes, NotPlain, shown

Instruction = Callable[[Machine], None]


class _Name(Enum):
    """What a pickle may name. None of it is called; `_reduce` does what each stands for."""

    NDARRAY = auto()
    DTYPE = auto()
    RECONSTRUCT = auto()
    SCALAR = auto()
    ENCODE = auto()
    ORDERED_DICT = auto()


_NAMES = {
    ("numpy", "ndarray"): _Name.NDARRAY,
    ("numpy", "dtype"): _Name.DTYPE,
    ("_codecs", "encode"): _Name.ENCODE,
    ("collections", "OrderedDict"): _Name.ORDERED_DICT,
}
for _core in ("numpy._core.multiarray", "numpy.core.multiarray"):  # where NumPy 2 has them, and where NumPy 1 had
    _NAMES |= {(_core, "_reconstruct"): _Name.RECONSTRUCT, (_core, "scalar"): _Name.SCALAR}


_BINFLOAT, _SHORT_BINUNICODE, _MEMOIZE, _BININT1, _BINGET = (
    code[0] for code in (pickle.BINFLOAT, pickle.SHORT_BINUNICODE, pickle.MEMOIZE, pickle.BININT1, pickle.BINGET)
)


def load(source: Bytes) -> Any:
    """Run a pickle to its end and return what it leaves.

    Raises `NotPlain` where that is not plain data or costs too much; `ValueError`, `IndexError`, `TypeError` or
    `struct.error` where instructions and operands do not fit together.
    """
    machine = Machine(source)
    while True:
        _run_common(machine)
        if (code := source.take(1)) == pickle.STOP:
            break
        instruction = _INSTRUCTIONS.get(code)
        if instruction is None:
            raise NotPlain(f"its instruction {shown(code)} is none that data need")
        instruction(machine)
    found = machine.stack.pop()
    if machine.stack or machine.below:
        raise NotPlain("it leaves more than one object")
    check_plain(found, source.taken)
    return found


_FLOAT = struct.Struct(">d")
_LONGEST = 2 + 255


def _run_common(machine: Machine) -> None:
    """Run the next instructions, as long as each is one of five that the NATS-Bench archive has most of.

    The table below has them as well. Without this shortcut its files take three times as long.
    """
    source, stack, memo = machine.source, machine.stack, machine.memo
    buffer, at = source.buffer, source.at
    last = len(buffer) - _LONGEST  # no instruction that begins before ends outside the buffer
    while at < last:
        code = buffer[at]
        if code == _BINFLOAT:
            stack.append(_FLOAT.unpack_from(buffer, at + 1)[0])
            at += 9
        elif code == _SHORT_BINUNICODE:
            end = at + 2 + buffer[at + 1]
            stack.append(str(buffer[at + 2 : end], "utf-8"))
            at = end
        elif code == _MEMOIZE and not isinstance(stack[-1], NewDtype | NewArray):
            memo.append(stack[-1])
            at += 1
        elif code == _BININT1:
            stack.append(buffer[at + 1])
            at += 2
        elif code == _BINGET and memo[buffer[at + 1]] is not ABSENT:
            stack.append(memo[buffer[at + 1]])
            at += 2
        else:
            break
    source.at = at


def _skip(length: int) -> Instruction:
    def instruction(machine: Machine) -> None:
        machine.source.take(length)

    return instruction


def _constant(value: Any) -> Instruction:
    return lambda machine: machine.stack.append(value)


def _fixed(length: int, value: Callable[[bytes], Any]) -> Instruction:
    """Put the value of the next `length` bytes on the stack."""
    return lambda machine: machine.stack.append(value(machine.source.take(length)))


def _counted(width: int, value: Callable[[bytes], Any]) -> Instruction:
    """Put the value of some bytes on the stack; `width` bytes before them say how many."""

    def instruction(machine: Machine) -> None:
        take = machine.source.take
        machine.stack.append(value(take(operands.little(take(width)))))

    return instruction


def _line(value: Callable[[bytes], Any]) -> Instruction:
    return lambda machine: machine.stack.append(value(machine.source.line()))


def _tuple(count: int) -> Instruction:
    def instruction(machine: Machine) -> None:
        stack = machine.stack
        if len(stack) < count:
            raise NotPlain(f"it makes a tuple of {count} values where it has {len(stack)}")
        values = tuple(stack[-count:])
        del stack[-count:]
        machine.push(values)

    return instruction


def _update(machine: Machine, pairs: list[Any]) -> None:
    if len(pairs) % 2:
        raise NotPlain("it has a key without a value")
    machine.top(dict, OrderedDict).update(zip(checked_keys(pairs[::2]), pairs[1::2], strict=True))


def _setitem(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _update(machine, [key, value])


def _setitems(machine: Machine) -> None:
    _update(machine, machine.marked())


def _dict(machine: Machine) -> None:
    pairs = machine.marked()
    machine.push({})
    _update(machine, pairs)


def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    machine.top(list).append(value)


def _appends(machine: Machine) -> None:
    values = machine.marked()
    machine.top(list).extend(values)


def _additems(machine: Machine) -> None:
    values = machine.marked()
    machine.top(set).update(checked_keys(values))


def _name(machine: Machine, module: Any, name: Any) -> None:
    whole = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else None
    if whole is None or (module, name) not in _NAMES:
        raise NotPlain(f"it names {shown(whole)}, which data do not need")
    machine.stack.append(_NAMES[module, name])


def _global(machine: Machine) -> None:
    module, name = operands.utf8(machine.source.line()), operands.utf8(machine.source.line())
    _name(machine, module, name)


def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    _name(machine, module, name)


def _reduce(machine: Machine) -> None:
    """Put on the stack what the function that is named there makes of the arguments beside it."""
    arguments, function = machine.stack.pop(), machine.stack.pop()
    if type(arguments) is not tuple or not isinstance(function, _Name):
        raise NotPlain(f"it calls {shown(function)}")
    machine.charge(COSTS[tuple])
    made: Any
    match function, arguments:
        case _Name.DTYPE, _:
            made = NewDtype(arguments)
        case _Name.SCALAR, _:
            made = scalar(arguments)
        case _Name.RECONSTRUCT, (_Name.NDARRAY, (0,), _):
            made = NewArray()
        case _Name.ORDERED_DICT, ():
            machine.charge(COSTS[OrderedDict])
            made = OrderedDict()
        case _Name.ENCODE, (str() as text, "latin1" | "latin-1"):
            machine.charge(len(text))
            made = text.encode("latin-1")
        case _:
            raise NotPlain(f"it calls {function.name.lower()} with arguments that data do not need")
    machine.stack.append(made)


def _build(machine: Machine) -> None:
    """Give the new dtype or array on the stack its state."""
    state = machine.stack.pop()
    if type(state) is tuple and state and type(state[-1]) is str:  # Python 2's data, which are copied
        machine.charge(len(state[-1]))
    machine.finish(state)


_INSTRUCTIONS: dict[bytes, Instruction] = {
    pickle.PROTO: _skip(1),
    pickle.FRAME: _skip(8),  # frames only say how much to read at once
    pickle.MARK: Machine.mark,
    # constants and numbers
    pickle.NONE: _constant(None),
    pickle.NEWTRUE: _constant(True),
    pickle.NEWFALSE: _constant(False),
    pickle.BININT1: _fixed(1, operands.little),
    pickle.BININT2: _fixed(2, operands.little),
    pickle.BININT: _fixed(4, operands.long),
    pickle.BINFLOAT: _fixed(8, lambda data: _FLOAT.unpack(data)[0]),
    pickle.LONG1: _counted(1, operands.long),
    pickle.LONG4: _counted(4, operands.long),
    pickle.INT: _line(operands.truth_or_digits),
    pickle.LONG: _line(lambda line: operands.digits(line.removesuffix(b"L"))),
    pickle.FLOAT: _line(float),
    # text and bytes
    pickle.SHORT_BINUNICODE: _counted(1, operands.utf8),
    pickle.BINUNICODE: _counted(4, operands.utf8),
    pickle.BINUNICODE8: _counted(8, operands.utf8),
    pickle.UNICODE: _line(operands.escaped_text),
    pickle.SHORT_BINSTRING: _counted(1, operands.latin1),
    pickle.BINSTRING: _counted(4, operands.latin1),
    pickle.STRING: _line(operands.quoted),
    pickle.SHORT_BINBYTES: _counted(1, bytes),
    pickle.BINBYTES: _counted(4, bytes),
    pickle.BINBYTES8: _counted(8, bytes),
    # containers
    pickle.EMPTY_TUPLE: _constant(()),
    pickle.TUPLE1: _tuple(1),
    pickle.TUPLE2: _tuple(2),
    pickle.TUPLE3: _tuple(3),
    pickle.TUPLE: lambda machine: machine.push(tuple(machine.marked())),
    pickle.EMPTY_LIST: lambda machine: machine.push([]),
    pickle.LIST: lambda machine: machine.push(machine.marked()),
    pickle.APPEND: _append,
    pickle.APPENDS: _appends,
    pickle.EMPTY_DICT: lambda machine: machine.push({}),
    pickle.DICT: _dict,
    pickle.SETITEM: _setitem,
    pickle.SETITEMS: _setitems,
    pickle.EMPTY_SET: lambda machine: machine.push(set()),
    pickle.ADDITEMS: _additems,
    # the memo
    pickle.MEMOIZE: Machine.remember_next,
    pickle.BINPUT: lambda machine: machine.remember(operands.little(machine.source.take(1))),
    pickle.LONG_BINPUT: lambda machine: machine.remember(operands.little(machine.source.take(4))),
    pickle.PUT: lambda machine: machine.remember(operands.digits(machine.source.line())),
    pickle.BINGET: lambda machine: machine.recall(operands.little(machine.source.take(1))),
    pickle.LONG_BINGET: lambda machine: machine.recall(operands.little(machine.source.take(4))),
    pickle.GET: lambda machine: machine.recall(operands.digits(machine.source.line())),
    # NumPy's arrays and scalars, and ordered dictionaries
    pickle.GLOBAL: _global,
    pickle.STACK_GLOBAL: _stack_global,
    pickle.REDUCE: _reduce,
    pickle.BUILD: _build,
}
