/*
 * Who listens at a console socket, as containerd and conmon do.
 *
 *   console PATH WORDS     listens at PATH; from whoever connects takes a name and a terminal, prints the name and the terminal's size,
 *                          types WORDS and Enter, and prints what comes back until the other side has closed
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  if (argc != 3 || strlen(argv[1]) >= sizeof at.sun_path) return 2;
  strcpy(at.sun_path, argv[1]);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1) < 0) { perror(argv[1]); return 1; }
  int client = accept(listener, NULL, NULL), terminal = -1;
  char name[256] = { 0 }, room[CMSG_SPACE(sizeof terminal)], text[4096];
  struct iovec part = { name, sizeof name - 1 };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
  if (recvmsg(client, &message, 0) <= 0) { perror("recvmsg"); return 1; }
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (!head || head->cmsg_type != SCM_RIGHTS) { fprintf(stderr, "no file came\n"); return 1; }
  memcpy(&terminal, CMSG_DATA(head), sizeof terminal);
  struct winsize size = { 0 };
  if (ioctl(terminal, TIOCGWINSZ, &size) < 0) { perror("TIOCGWINSZ"); return 1; }
  printf("%s %dx%d\n", name, size.ws_row, size.ws_col);
  if (write(terminal, argv[2], strlen(argv[2])) < 0 || write(terminal, "\n", 1) < 0) { perror("write"); return 1; }
  for (ssize_t n; (n = read(terminal, text, sizeof text)) > 0;) fwrite(text, 1, (size_t)n, stdout);
  return 0;
}
