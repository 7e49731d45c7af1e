// What runs in the pods of the tests: it listens, tries, holds, forks and looks at itself.
// Addresses are written as tcp/10.0.0.1/8080.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	patience = 1500 * time.Millisecond
	beat     = 25 * time.Millisecond
)

func main() {
	if len(os.Args) < 2 {
		fail("serve, try, loop, hold, fork, sleep or self")
	}
	rest := os.Args[2:]
	switch os.Args[1] {
	case "serve":
		serve(rest)
	case "try":
		try(rest)
	case "first":
		first(rest)
	case "loop":
		loop(rest[0])
	case "hold":
		hold(rest[0])
	case "fork":
		fork()
	case "sleep":
		wait()
	case "self":
		self()
	default:
		fail("unknown: " + os.Args[1])
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(2)
}

func say(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(string(text))
}

func split(target string) (string, string) {
	parts := strings.SplitN(target, "/", 3)
	if len(parts) != 3 {
		fail("not an address: " + target)
	}
	return parts[0], net.JoinHostPort(parts[1], parts[2])
}

// serve answers every byte with itself, on each of the given addresses.
func serve(addresses []string) {
	for _, each := range addresses {
		network, address := split(each)
		if network == "udp" {
			listening, err := net.ListenPacket("udp", address)
			if err != nil {
				fail(err.Error())
			}
			go func() {
				buffer := make([]byte, 64)
				for {
					n, from, err := listening.ReadFrom(buffer)
					if err == nil {
						listening.WriteTo(buffer[:n], from)
					}
				}
			}()
			continue
		}
		listening, err := net.Listen("tcp", address)
		if err != nil {
			fail(err.Error())
		}
		go func() {
			for {
				connection, err := listening.Accept()
				if err != nil {
					continue
				}
				go func() {
					defer connection.Close()
					buffer := make([]byte, 64)
					for {
						n, err := connection.Read(buffer)
						if err != nil {
							return
						}
						connection.Write(buffer[:n])
					}
				}()
			}
		}()
	}
	wait()
}

func wait() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}

// reaches tells whether a connection is made, or whether a datagram is answered.
func reaches(target string, patience time.Duration) bool {
	network, address := split(target)
	connection, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return false
	}
	defer connection.Close()
	if network == "tcp" {
		return true
	}
	buffer := make([]byte, 8)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		connection.Write([]byte("x"))
		connection.SetReadDeadline(time.Now().Add(patience / 5))
		if _, err := connection.Read(buffer); err == nil {
			return true
		}
	}
	return false
}

// try says for each address whether it is reached.
func try(targets []string) {
	found := map[string]bool{}
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, each := range targets {
		all.Add(1)
		go func() {
			defer all.Done()
			answer := reaches(each, patience)
			lock.Lock()
			found[each] = answer
			lock.Unlock()
		}()
	}
	all.Wait()
	say(found)
}

// first tries each address from its first instruction on, again and again, and says what it reached
// and after how many milliseconds; then it stays.
func first(targets []string) {
	found := map[string]int64{}
	began := time.Now()
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, each := range targets {
		all.Add(1)
		go func() {
			defer all.Done()
			for until := time.Now().Add(2 * time.Second); time.Now().Before(until); {
				if reaches(each, 100*time.Millisecond) {
					lock.Lock()
					found[each] = time.Since(began).Milliseconds()
					lock.Unlock()
					return
				}
			}
		}()
	}
	all.Wait()
	say(found)
	wait()
}

// loop says each time that an address begins or ends to be reached, in seconds since 1970.
func loop(target string) {
	last := ""
	for {
		now := "closed"
		if reaches(target, 4*beat) {
			now = "open"
		}
		if now != last {
			say(map[string]any{"state": now, "at": float64(time.Now().UnixMicro()) / 1e6})
			last = now
		}
		time.Sleep(beat)
	}
}

// hold keeps one connection and says when it is made, and when nothing comes back any more.
func hold(target string) {
	network, address := split(target)
	connection, err := net.DialTimeout(network, address, patience)
	if err != nil {
		fail(err.Error())
	}
	buffer := make([]byte, 8)
	say(map[string]any{"state": "held"})
	last := time.Now()
	for time.Since(last) < 2*time.Second {
		connection.Write([]byte("x"))
		connection.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := connection.Read(buffer); err == nil {
			last = time.Now()
			time.Sleep(beat)
		} else if !os.IsTimeout(err) {
			break
		}
	}
	say(map[string]any{"state": "cut", "at": float64(last.UnixMicro()) / 1e6})
}

// fork starts children until it cannot, says how many there are and why no more, and stays.
func fork() {
	// The runtime ends this process where it needs a thread and gets none: have enough before.
	var all sync.WaitGroup
	for range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			pause := syscall.Timespec{Nsec: 200e6}
			syscall.Nanosleep(&pause, nil)
		}()
	}
	all.Wait()
	var children []*exec.Cmd
	var failure error
	for len(children) < 100000 {
		child := exec.Command("/proc/self/exe", "sleep")
		if failure = child.Start(); failure != nil {
			break
		}
		children = append(children, child)
	}
	say(map[string]any{"children": len(children), "error": fmt.Sprint(failure)})
	// Waiting as usual would need a thread. The children are ended with the pod.
	for {
		syscall.Pause()
	}
}

// self says what the kernel says of this process.
func self() {
	found := map[string]string{}
	for _, name := range []string{"status", "uid_map"} {
		text, err := os.ReadFile("/proc/self/" + name)
		if err != nil {
			fail(err.Error())
		}
		found[name] = string(text)
	}
	_, err := os.Create("/written")
	found["write"] = fmt.Sprint(err)
	say(found)
}
