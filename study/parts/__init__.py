"""The registries of parts, and the plugins that add to them."""
