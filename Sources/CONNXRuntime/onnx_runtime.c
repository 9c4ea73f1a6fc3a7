#include "onnx_runtime.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// What the library's entrance gives.
typedef struct {
  void *const *(*functions)(uint32_t minor);
  const char *(*version)(void);
} entrance;

// Every index exists in the releases that are accepted, and none stands twice.
#define ONNXRUNTIME_CHECK(slot, result, name, parameters) \
  _Static_assert(slot <= ONNXRUNTIME_LAST_SLOT, #name " came after the oldest release");
#define ONNXRUNTIME_OPTIONAL_CHECK(slot, result, name, parameters)                        \
  _Static_assert(slot > ONNXRUNTIME_LAST_SLOT && slot <= ONNXRUNTIME_LAST_OPTIONAL_SLOT, \
                 #name " is of another release");
#define ONNXRUNTIME_NUMBER(slot, result, name, parameters) ONNXRUNTIME_SLOT_##slot = slot,
ONNXRUNTIME_FUNCTIONS(ONNXRUNTIME_CHECK)
ONNXRUNTIME_OPTIONAL_FUNCTIONS(ONNXRUNTIME_OPTIONAL_CHECK)
enum {
  ONNXRUNTIME_FUNCTIONS(ONNXRUNTIME_NUMBER) ONNXRUNTIME_OPTIONAL_FUNCTIONS(ONNXRUNTIME_NUMBER)
};
_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "functions are as wide as data");

onnxruntime_result onnxruntime_load(const char *path, onnxruntime_functions *table,
                                    const char **text) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *text = dlerror();
    return ONNXRUNTIME_UNREADABLE;
  }
  const entrance *(*base)(void);
  // A pointer to a function may not be cast from a pointer to data, but its bytes may be stored.
  *(void **)(&base) = dlsym(library, "OrtGetApiBase");
  if (!base) {
    *text = dlerror();
    return ONNXRUNTIME_UNREADABLE;
  }
  *text = base()->version();
  char *rest = 0;
  long major = strtol(*text, &rest, 10);
  long minor = *rest == '.' ? strtol(rest + 1, 0, 10) : -1;
  if (major != 1 || minor < ONNXRUNTIME_MINOR) return ONNXRUNTIME_UNSUPPORTED;
  void *const *functions = base()->functions(ONNXRUNTIME_MINOR);
  if (!functions) return ONNXRUNTIME_UNSUPPORTED;
#define ONNXRUNTIME_FILL(slot, result, name, parameters)       \
  memcpy(&table->name, &functions[slot], sizeof(table->name)); \
  if (!table->name) return ONNXRUNTIME_UNSUPPORTED;
#define ONNXRUNTIME_FILL_OPTIONAL(slot, result, name, parameters) \
  table->name = 0;                                                \
  if (minor >= 24) memcpy(&table->name, &functions[slot], sizeof(table->name));
  ONNXRUNTIME_FUNCTIONS(ONNXRUNTIME_FILL)
  ONNXRUNTIME_OPTIONAL_FUNCTIONS(ONNXRUNTIME_FILL_OPTIONAL)
  return ONNXRUNTIME_LOADED;
}
