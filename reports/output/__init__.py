"""The files of a report: exports beside the pages, and the folder that is replaced whole."""
