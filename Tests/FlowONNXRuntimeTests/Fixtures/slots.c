// Checks that the last function of each release stands where it is expected, and that all that the
// shim calls are functions of the library itself: slots LIBRARY
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_runtime.h"

typedef struct {
  void *const *(*functions)(uint32_t minor);
  const char *(*version)(void);
} entrance;

static const int last_slots[][2] = {
    {1, 101},  {2, 118},  {3, 124},  {4, 126},  {6, 157},  {7, 161},  {8, 169},
    {9, 191},  {10, 203}, {11, 209}, {12, 218}, {13, 224}, {14, 238}, {15, 254},
    {16, 265}, {17, 275}, {18, 279}, {20, 284}, {22, 317}, {23, 389}, {24, 413},
};

static void *library_start;

static int check(int slot, const void *function, const char *name) {
  Dl_info place;
  if (function && dladdr(function, &place) && place.dli_fbase == library_start) return 0;
  printf("slot %d (%s) is no function of the library\n", slot, name);
  return 1;
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  const entrance *(*base)(void) = 0;
  if (library) *(void **)(&base) = dlsym(library, "OrtGetApiBase");
  Dl_info place;
  if (!base || !dladdr(*(void **)(&base), &place)) return 2;
  library_start = place.dli_fbase;
  int minor = atoi(strchr(base()->version(), '.') + 1);
  void *const *functions = base()->functions(ONNXRUNTIME_MINOR);
  int failures = 0;
  for (size_t index = 0; index < sizeof(last_slots) / sizeof(*last_slots); index++) {
    if (last_slots[index][0] <= minor) {
      failures += check(last_slots[index][1], functions[last_slots[index][1]], "last of a release");
    }
    // One table for all releases: what is asked for decides only whether it is given.
    if (last_slots[index][0] <= minor) failures += base()->functions(last_slots[index][0]) != functions;
  }
#define CHECK(slot, result, name, parameters) failures += check(slot, functions[slot], #name);
  ONNXRUNTIME_FUNCTIONS(CHECK)
  if (minor >= 24) {
    ONNXRUNTIME_OPTIONAL_FUNCTIONS(CHECK)
  }
  return failures != 0;
}
