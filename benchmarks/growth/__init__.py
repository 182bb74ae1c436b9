"""How much dearer a request becomes when there is a thousand times as much of everything."""
