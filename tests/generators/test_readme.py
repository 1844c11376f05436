"""The generators' page of the documentation says what the program says."""

from pe_engine.generators import GENERATORS
from pe_engine.reporting import generator_table
from tests.conftest import ROOT

PAGE = (ROOT / "pe_engine" / "generators" / "README.md").read_text("utf-8")


def test_the_table_is_what_the_command_prints():
    table = generator_table()
    assert len(table.splitlines()) == 2 + len(GENERATORS)
    assert f"<!-- table -->\n{table}\n<!-- end of table -->" in PAGE


def test_the_worked_example_is_the_file_that_is_run():
    example = (ROOT / "assets" / "examples" / "stripes.py").read_text("utf-8")
    assert f"```python\n{example}```" in PAGE
