"""Policy documents as files: YAML and JSON in, the published JSON Schema out."""
