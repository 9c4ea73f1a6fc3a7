#include "nats_client.h"

#include <dlfcn.h>

nats_load_result nats_load(const char *path, nats_functions *table, const char **text) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *text = dlerror();
    return CNATS_UNREADABLE;
  }
  // The version first: what a later release lacks is then no riddle.
  uint32_t (*number)(void);
  const char *(*version)(void);
  // A pointer to a function may not be cast from a pointer to data, but its bytes may be stored.
  *(void **)(&number) = dlsym(library, "nats_GetVersionNumber");
  *(void **)(&version) = dlsym(library, "nats_GetVersion");
  if (!number || !version) {
    *text = "it is no NATS client library";
    return CNATS_UNREADABLE;
  }
  *text = version();
  if (number() >> 16 != CNATS_MAJOR) return CNATS_UNSUPPORTED;
#define CNATS_LOOK_UP(result, name, parameters)     \
  *(void **)(&table->name) = dlsym(library, #name); \
  if (!*(void **)(&table->name)) {                  \
    *text = dlerror();                              \
    return CNATS_UNREADABLE;                        \
  }
  CNATS_FUNCTIONS(CNATS_LOOK_UP)
#undef CNATS_LOOK_UP
  return CNATS_LOADED;
}
