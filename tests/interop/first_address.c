/* Prints the address that a client connects to first, COUNT times: what getaddrinfo puts at the head of its list.
 *
 *   first_address NAME COUNT
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *list;
    char address[NI_MAXHOST];

    if (argc != 3)
        return 2;
    for (int left = atoi(argv[2]); left > 0; left--) {
        int fault = getaddrinfo(argv[1], NULL, &hints, &list);
        if (!fault)
            fault = getnameinfo(list->ai_addr, list->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
        if (fault) {
            fprintf(stderr, "%s: %s\n", argv[1], gai_strerror(fault));
            return 1;
        }
        puts(address);
        freeaddrinfo(list);
    }
    return 0;
}
