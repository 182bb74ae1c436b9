"""Pure rules of the shop: no HTTP, no SQL, nothing imported from the other rooms."""
