/*
 * LD_PRELOAD: while the file named by DISK_FLAG exists, fsync and fdatasync do not return; while it holds "refuse",
 * they fail with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int held(void) {
  const char *flag = getenv("DISK_FLAG");
  FILE *file;
  int first;
  while (flag != NULL && (file = fopen(flag, "r")) != NULL) {
    first = fgetc(file);
    fclose(file);
    if (first == 'r') {
      errno = EIO;
      return -1;
    }
    usleep(50000);
  }
  return 0;
}

int fsync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return held() < 0 ? -1 : real(fd);
}

int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return held() < 0 ? -1 : real(fd);
}
