// Before everything else: what the headers of a libstdc++ that was built for glibc want to find of
// it. Their locales and condition variables use these, nothing here does.
#pragma once
#define __GLIBC_PREREQ(major, minor) 0
#define __locale_t locale_t
enum {
  _ISupper = 1,
  _ISlower = 2,
  _ISalpha = 4,
  _ISdigit = 8,
  _ISxdigit = 16,
  _ISspace = 32,
  _ISprint = 64,
  _ISgraph = 128,
  _ISblank = 256,
  _IScntrl = 512,
  _ISpunct = 1024,
  _ISalnum = 2048
};
#define _GLIBCXX_EXTERN_TEMPLATE 0  // the library that has them is not linked
#include <bits/c++config.h>
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK
#undef _GLIBCXX_USE_PTHREAD_RWLOCK_CLOCKLOCK
