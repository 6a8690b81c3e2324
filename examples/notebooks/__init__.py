"""The tutorials as notebooks, stored with their outputs."""
