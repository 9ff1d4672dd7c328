"""Our own file of a NATS-Bench topology table: Parquet, small, read in a fraction of a second."""

from pathlib import Path
from typing import TYPE_CHECKING

from spaces.common.errors import InputError
from spaces.common.files import write_whole
from spaces.tabular.columns import schema

if TYPE_CHECKING:
    import pyarrow as pa

COMPACT = "nats-tss.parquet"
_VERSION = "1"
_AGAIN = "delete it and run `dartboard data import nats-tss FILE` again"


def read_compact(path: Path) -> "tuple[pa.Table, str]":
    """The rows that `write_compact` wrote, and in words what they were made from. Raises `InputError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not read_table: it imports pyarrow.dataset and with it pandas, which takes longer than all the rest.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged ({' '.join(str(error).split())}): {_AGAIN}") from error
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if metadata.get("version") != _VERSION or not {"source", "sha256"} <= set(metadata):
        raise InputError(f"{path} was not made by this version of dartboard: {_AGAIN}")
    if not table.schema.equals(schema()):
        absent = [name for name in schema().names if name not in table.column_names]
        raise InputError(f"{path} is damaged (column {absent[0] if absent else 'types'} differs): {_AGAIN}")
    return table, f"{metadata['source']} (SHA-256 {metadata['sha256'][:12]}…)"


def write_compact(path: Path, table: "pa.Table", source: str, sha256: str) -> None:
    """Write `table` whole or not at all, with the name and digest of what it was made from. Raises `InputError`."""
    import pyarrow.parquet as pq

    table = table.replace_schema_metadata({"version": _VERSION, "source": source, "sha256": sha256})
    try:
        write_whole(path, lambda file: pq.write_table(table, file, compression="zstd", write_page_checksum=True))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}: name another folder with --data-root"
        ) from error
