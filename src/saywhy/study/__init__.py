"""A study: many arms over several tasks, from one YAML file (docs/study.md)."""
