"""
The inspector: what passed a tunnel, to be looked at, searched and replayed.

Pure, and read first: `ngrok_resources` and `ngrok_errors` (what programs that know ngrok's
local API are answered). Shells: `ngrok_api` (its routes), `tunnel_meters` (what passes).
"""
