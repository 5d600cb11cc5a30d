"""How gRPC reaches a Triton, by name or by address."""

from components.conversation import Seconds

# After Triton comes back the channel must find it at once, not after gRPC's two minutes. A name
# that stands for several addresses (a headless service) is spread over by gRPC itself.
CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", 3_000),  # a connection that is not made by then is given up
]

# A host that is gone without a word refuses nothing: what was sent to it is taken for lost where a
# ping is not answered, and goes to another Triton within its deadline. Only for clips: in the
# minutes that a load may take, Triton would take so many pings for an attack.
WATCHED_CHANNEL = [
    *CHANNEL,
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # of gRPC's other pings, which a keepalive waits for
    ("grpc.http2.max_pings_without_data", 0),
]

RENEWED: Seconds = 5.0
"""So old a channel to a Triton that is away is replaced. One whose name nobody has yet asks for it
ever less often, in the end every two minutes, and no argument changes that."""
