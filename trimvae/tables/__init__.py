"""Tables of data: rows of numbers, categories and missing values as tensors, and back."""
