"""Where the data lie. Imports nothing heavy: the commands that only look something up stay quick."""

import os
from pathlib import Path


def data_root(option: Path | None = None) -> Path:
    """The folder that holds data sets and tables: `option` (`--data-root`), else `$DARTBOARD_DATA`, else the user's
    cache folder. It need not exist.
    """
    if option is not None:
        return option.expanduser()
    if named := os.environ.get("DARTBOARD_DATA"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("dartboard")
