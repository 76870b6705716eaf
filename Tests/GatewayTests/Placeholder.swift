// Placeholder so that the empty target builds; the target's own files replace it.
