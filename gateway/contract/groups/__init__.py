"""Groups, and the paths that groups share with communities."""
