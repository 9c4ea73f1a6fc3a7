#include "openvino_runtime.h"

#include <dlfcn.h>

const char *openvino_load(const char *path, openvino_functions *table) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
  // A pointer to a function may not be cast from a pointer to data, but its bytes may be stored.
#define OPENVINO_LOOK_UP(result, name, parameters)     \
  *(void **)(&table->name) = dlsym(library, #name);    \
  if (!*(void **)(&table->name)) return dlerror();
  OPENVINO_FUNCTIONS(OPENVINO_LOOK_UP)
#undef OPENVINO_LOOK_UP
  return 0;
}
