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
]

RENEWED: Seconds = 5.0
"""So old a channel to a Triton that is away is replaced. One whose name nobody has yet asks for it
ever less often, in the end every two minutes, and no argument changes that."""
