/// Placeholder so that the empty module builds; the module's own files replace it.
