package check

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// What serve takes when nobody says otherwise.
const (
	defaultGrace  = 30 * time.Second
	defaultKill   = time.Second
	defaultSettle = 30 * time.Second
)
