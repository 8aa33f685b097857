"""The doctor before servers that really are ill."""
