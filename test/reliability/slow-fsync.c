#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

/* LD_PRELOAD: each fsync and fdatasync takes SLOW_FSYNC_MS longer, as on a worn SD card. */
static void pause_for_disk(void) {
  const char *text = getenv("SLOW_FSYNC_MS");
  if (text != NULL) usleep((useconds_t)atoi(text) * 1000);
}

int fsync(int descriptor) {
  static int (*next)(int);
  if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  pause_for_disk();
  return next(descriptor);
}

int fdatasync(int descriptor) {
  static int (*next)(int);
  if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  pause_for_disk();
  return next(descriptor);
}
