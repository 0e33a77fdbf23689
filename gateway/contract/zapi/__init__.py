"""Z-API's own routes, as its documentation describes them."""
