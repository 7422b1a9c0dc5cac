"""The doctor: what a machine, or each node of a cluster, has and lacks, and what a GPU gives. No run needs it."""
