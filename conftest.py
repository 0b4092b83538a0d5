"""Makes plain `pytest stage01_tokenizer` grade as the course's own commands do."""

pytest_plugins = ["bootcamp.grading.plugin"]
