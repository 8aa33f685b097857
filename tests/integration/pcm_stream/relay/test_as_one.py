"""What holds for a gateway that consumers reach directly, holds through a relay."""

from __future__ import annotations

from pcm_stream.test_commands import *  # noqa: F403
from pcm_stream.test_consumer_results import *  # noqa: F403
from pcm_stream.test_resume import *  # noqa: F403
from pcm_stream.test_slow_consumers import *  # noqa: F403
from pcm_stream.test_stream import *  # noqa: F403

# Of gateways that dial, or end.
del test_a_service_that_is_not_there_yet_is_no_fault  # noqa: F821
del test_calls_of_a_gateway_that_came_back_as_another_are_lost  # noqa: F821
del test_the_gateway_dials_and_dials_again  # noqa: F821
del test_without_reconnect_the_end_of_the_gateway_ends_the_stream  # noqa: F821
# It wants answers in the order of the commands, whatever calls they are of.
del test_commands_by_session_and_malformed_ones  # noqa: F821
