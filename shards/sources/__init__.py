"""One module per layout: each reads an annotated set into `shards.sample.AnnotatedSet`."""
