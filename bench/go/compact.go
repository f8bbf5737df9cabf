// Merges LTX files with the library that Litestream merges them with, as Litestream does: each input read from its
// file, the output through a pipe into a temporary file that is synced and renamed. It prints what that took, in
// nanoseconds, so that starting the program does not count.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/superfly/ltx"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: compact OUTPUT INPUT...")
		os.Exit(2)
	}
	started, cpuBefore := time.Now(), cpuTime()
	if err := compact(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("{\"wallNs\":%d,\"cpuNs\":%d}\n", time.Since(started).Nanoseconds(), cpuTime()-cpuBefore)
}

func compact(output string, inputs []string) error {
	readers := make([]io.Reader, len(inputs))
	for i, name := range inputs {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		readers[i] = file
	}

	pipeReader, pipeWriter := io.Pipe()
	go func() {
		compactor, err := ltx.NewCompactor(pipeWriter, readers)
		if err == nil {
			compactor.HeaderFlags = ltx.HeaderFlagNoChecksum
			err = compactor.Compact(context.Background())
		}
		pipeWriter.CloseWithError(err)
	}()

	temporary := output + ".tmp"
	file, err := os.Create(temporary)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, pipeReader); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(temporary, output); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(output))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// CPU time of this process, all its threads, in nanoseconds.
func cpuTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return syscall.TimevalToNsec(usage.Utime) + syscall.TimevalToNsec(usage.Stime)
}
