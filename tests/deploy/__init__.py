"""Tests of the files in deploy/, by the programs that use them: `tox -e deploy`."""
