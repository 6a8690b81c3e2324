"""Examples that are run: `python -m examples` runs all, `python -m examples.ten_lines` one."""
