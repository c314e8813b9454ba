"""What a study is put together from: the registries of parts, and the plugins that add to them."""
