"""An explanation as one page that opens anywhere."""
