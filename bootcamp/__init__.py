"""The machinery of the course: everything that is about the course rather than about language models."""
