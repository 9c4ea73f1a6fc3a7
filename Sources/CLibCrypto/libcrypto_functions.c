#include "libcrypto_functions.h"

#include <dlfcn.h>

int libcrypto_load(const char *path, libcrypto_functions *table, const char **text) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *text = dlerror();
    return 0;
  }
  // A pointer to a function may not be cast from a pointer to data, but its bytes may be stored.
#define CLIBCRYPTO_LOOK_UP(result, name, parameters) \
  *(void **)(&table->name) = dlsym(library, #name);  \
  if (!*(void **)(&table->name)) {                   \
    *text = dlerror();                               \
    return 0;                                        \
  }
  CLIBCRYPTO_FUNCTIONS(CLIBCRYPTO_LOOK_UP)
#undef CLIBCRYPTO_LOOK_UP
  return 1;
}
