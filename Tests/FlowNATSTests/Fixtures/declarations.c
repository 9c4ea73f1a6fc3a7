// Compiled by a test: the shim's declarations are those of the library's own header.
#include <nats/nats.h>
#define NATS_TYPES_ARE_OFFICIAL
#include "nats_client.h"

#define CNATS_ASSIGN(result, name, parameters) table->name = name;
void check(nats_functions *table) { CNATS_FUNCTIONS(CNATS_ASSIGN) }

#define CNATS_SAME(name) _Static_assert((int)CNATS_##name == (int)NATS_##name, #name);
CNATS_SAME(OK)
CNATS_SAME(CONNECTION_CLOSED)
CNATS_SAME(NO_SERVER)
CNATS_SAME(SECURE_CONNECTION_WANTED)
CNATS_SAME(SECURE_CONNECTION_REQUIRED)
CNATS_SAME(CONNECTION_AUTH_FAILED)
CNATS_SAME(NOT_PERMITTED)
CNATS_SAME(SLOW_CONSUMER)
CNATS_SAME(MAX_PAYLOAD)
CNATS_SAME(TIMEOUT)
CNATS_SAME(SSL_ERROR)
