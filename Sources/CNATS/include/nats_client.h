// A table of the functions of the NATS client library (libnats) that this package calls, filled at run
// time, so that the package builds where the library is absent.
#ifndef STREAMFLOW_NATS_CLIENT_H
#define STREAMFLOW_NATS_CLIENT_H

#ifndef NATS_TYPES_ARE_OFFICIAL
#include "nats_types.h"
#endif

#ifdef __clang__
// Only the table's own members are annotated: a loaded table has no empty place.
#pragma clang diagnostic ignored "-Wnullability-completeness"
#else
#define _Nonnull
#define _Nullable
#endif

/// The major release whose functions are called; they are the same in all of its minor releases.
#define CNATS_MAJOR 3

// The numbers of the statuses that are told apart.
enum {
  CNATS_OK = 0,
  CNATS_CONNECTION_CLOSED = 5,
  CNATS_NO_SERVER = 6,
  CNATS_SECURE_CONNECTION_WANTED = 8,
  CNATS_SECURE_CONNECTION_REQUIRED = 9,
  CNATS_CONNECTION_AUTH_FAILED = 11,
  CNATS_NOT_PERMITTED = 12,
  CNATS_SLOW_CONSUMER = 20,
  CNATS_MAX_PAYLOAD = 21,
  CNATS_TIMEOUT = 26,
  CNATS_SSL_ERROR = 29,
};

// FUNCTION(result, name, parameters)
#define CNATS_FUNCTIONS(FUNCTION)                                                                  \
  FUNCTION(const char *, nats_GetVersion, (void))                                                  \
  FUNCTION(uint32_t, nats_GetVersionNumber, (void))                                                \
  FUNCTION(const char *, nats_GetLastError, (natsStatus * status))                                 \
  FUNCTION(const char *, natsStatus_GetText, (natsStatus status))                                  \
  FUNCTION(natsStatus, natsOptions_Create, (natsOptions * *options))                               \
  FUNCTION(void, natsOptions_Destroy, (natsOptions * options))                                     \
  FUNCTION(natsStatus, natsOptions_SetURL, (natsOptions * options, const char *url))               \
  FUNCTION(natsStatus, natsOptions_SetName, (natsOptions * options, const char *name))             \
  FUNCTION(natsStatus, natsOptions_SetTimeout, (natsOptions * options, int64_t milliseconds))      \
  FUNCTION(natsStatus, natsOptions_SetMaxReconnect, (natsOptions * options, int count))            \
  FUNCTION(natsStatus, natsOptions_SetReconnectWait,                                               \
           (natsOptions * options, int64_t milliseconds))                                          \
  FUNCTION(natsStatus, natsOptions_SetPingInterval,                                                \
           (natsOptions * options, int64_t milliseconds))                                          \
  FUNCTION(natsStatus, natsOptions_SetSecure, (natsOptions * options, bool secure))                \
  FUNCTION(natsStatus, natsOptions_LoadCATrustedCertificates,                                      \
           (natsOptions * options, const char *file))                                              \
  FUNCTION(natsStatus, natsOptions_SetNKeyFromSeed,                                                \
           (natsOptions * options, const char *publicKey, const char *seedFile))                   \
  FUNCTION(natsStatus, natsOptions_SetErrorHandler,                                                \
           (natsOptions * options, natsErrHandler handler, void *closure))                         \
  FUNCTION(natsStatus, natsOptions_SetClosedCB,                                                    \
           (natsOptions * options, natsConnectionHandler handler, void *closure))                  \
  FUNCTION(natsStatus, natsOptions_UseGlobalMessageDelivery,                                       \
           (natsOptions * options, bool isGlobal))                                                 \
  FUNCTION(natsStatus, natsOptions_SetDisconnectedCB,                                              \
           (natsOptions * options, natsConnectionHandler handler, void *closure))                  \
  FUNCTION(natsStatus, natsOptions_SetReconnectedCB,                                               \
           (natsOptions * options, natsConnectionHandler handler, void *closure))                  \
  FUNCTION(natsStatus, natsConnection_Connect,                                                     \
           (natsConnection * *connection, natsOptions * options))                                  \
  FUNCTION(void, natsConnection_Close, (natsConnection * connection))                              \
  FUNCTION(void, natsConnection_Destroy, (natsConnection * connection))                            \
  FUNCTION(natsStatus, natsConnection_GetLastError,                                                \
           (natsConnection * connection, const char **text))                                       \
  FUNCTION(int64_t, natsConnection_GetMaxPayload, (natsConnection * connection))                   \
  FUNCTION(natsStatus, natsConnection_FlushTimeout,                                                \
           (natsConnection * connection, int64_t milliseconds))                                    \
  FUNCTION(natsStatus, natsConnection_PublishMsg,                                                  \
           (natsConnection * connection, natsMsg * message))                                       \
  FUNCTION(natsStatus, natsConnection_Subscribe,                                                   \
           (natsSubscription * *subscription, natsConnection * connection, const char *subject,    \
            natsMsgHandler handler, void *closure))                                                \
  FUNCTION(natsStatus, natsConnection_QueueSubscribe,                                              \
           (natsSubscription * *subscription, natsConnection * connection, const char *subject,    \
            const char *group, natsMsgHandler handler, void *closure))                             \
  FUNCTION(natsStatus, natsSubscription_SetOnCompleteCB,                                           \
           (natsSubscription * subscription, natsOnCompleteCB handler, void *closure))             \
  FUNCTION(natsStatus, natsSubscription_SetPendingLimits,                                          \
           (natsSubscription * subscription, int messages, int bytes))                             \
  FUNCTION(natsStatus, natsSubscription_Unsubscribe, (natsSubscription * subscription))            \
  FUNCTION(void, natsSubscription_Destroy, (natsSubscription * subscription))                      \
  FUNCTION(natsStatus, natsMsg_Create,                                                             \
           (natsMsg * *message, const char *subject, const char *reply, const char *data,          \
            int count))                                                                            \
  FUNCTION(void, natsMsg_Destroy, (natsMsg * message))                                             \
  FUNCTION(const char *, natsMsg_GetSubject, (const natsMsg *message))                             \
  FUNCTION(const char *, natsMsg_GetReply, (const natsMsg *message))                               \
  FUNCTION(const char *, natsMsg_GetData, (const natsMsg *message))                                \
  FUNCTION(int, natsMsg_GetDataLength, (const natsMsg *message))                                   \
  FUNCTION(natsStatus, natsMsgHeader_Set,                                                          \
           (natsMsg * message, const char *key, const char *value))                                \
  FUNCTION(natsStatus, natsMsgHeader_Get,                                                          \
           (natsMsg * message, const char *key, const char **value))

#define CNATS_MEMBER(result, name, parameters) result(*_Nonnull name) parameters;
typedef struct {
  CNATS_FUNCTIONS(CNATS_MEMBER)
} nats_functions;
#undef CNATS_MEMBER

/// How loading a library went.
typedef enum {
  CNATS_LOADED,
  /// The loader refuses the file, or it lacks a function; the text is the reason.
  CNATS_UNREADABLE,
  /// The library is of another major release; the text is its version.
  CNATS_UNSUPPORTED,
} nats_load_result;

/// Loads the library and fills the table, once for a process: the library is never closed.
///
/// `text` becomes the library's version, or what is wrong, good until this thread's next call.
nats_load_result nats_load(const char *_Nonnull path, nats_functions *_Nonnull table,
                           const char *_Nullable *_Nonnull text);

#endif
