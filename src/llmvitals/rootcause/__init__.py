"""Root-cause analysis: which contributors and factors explain a change of a metric."""
