// The types of the NATS client library's C API that this package calls. All are handles: no structure
// of the library's is read or written here, since those grow between releases. JetStream is spoken as
// JSON over requests instead.
#ifndef STREAMFLOW_NATS_TYPES_H
#define STREAMFLOW_NATS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct __natsConnection natsConnection;
typedef struct __natsSubscription natsSubscription;
typedef struct __natsMsg natsMsg;
typedef struct __natsOptions natsOptions;
typedef unsigned int natsStatus;
typedef unsigned int natsConnStatus;

typedef void (*natsMsgHandler)(natsConnection *connection, natsSubscription *subscription,
                               natsMsg *message, void *closure);
typedef void (*natsConnectionHandler)(natsConnection *connection, void *closure);
typedef void (*natsErrHandler)(natsConnection *connection, natsSubscription *subscription,
                               natsStatus status, void *closure);
typedef void (*natsOnCompleteCB)(void *closure);

#endif
