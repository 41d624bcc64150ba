"""One module a layout: each reads an annotated set into `shards.sample.AnnotatedSet`."""
