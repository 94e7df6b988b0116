GO         ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME   ?= 30s
BIN        ?= bin/umbra
# 1 for names that only the C library finds, such as mDNS; the program is not static then.
CGO        ?= 0

.PHONY: build test check deps soak fuzz bench bench-go screenshots

# Where the code is. The tests with real peers run once, on the machine's own ints.
CODE = ./core/... ./cipher/... ./inbound/... ./observer/... ./outbound/... ./plugins/... ./policy/... ./resolver/... ./rule/...

build: ## the program, static, in bin/
	CGO_ENABLED=$(CGO) $(GO) build -trimpath -ldflags="-s -w" -o $(BIN) ./cmd/umbra

test: deps check ## everything: installs what tests need, then runs all of them
	$(GO) test -race -timeout 20m ./...
	@if [ "$$(uname -sm)" = "Linux x86_64" ]; then set -x; CGO_ENABLED=0 GOARCH=386 $(GO) test -timeout 20m $(CODE); \
	  else echo "no tests with ints of 32 bits: this machine can't run them"; fi
	cd test/interop && $(GO) test ./... # against an independent implementation
	cd test/page && $(GO) test ./... # the page, in a browser
	cd plugins/example && $(GO) test -race ./... # a third party's kind
	cd plugins/otel && $(GO) test -race ./... # against the protocol's own servers
	$(GO) test -tags portable ./core/netio ./core/dial ./core/pipeline ./inbound/... ./outbound/... # the UDP of other systems

check: ## what can be said without running anything
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt -w these:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	cd test/interop && $(GO) vet ./...
	cd test/page && $(GO) vet ./...
	cd plugins/example && $(GO) vet ./...
	cd plugins/otel && $(GO) vet ./...
	GOOS=darwin $(GO) vet ./... # with the tests: they build wherever people work on umbra
	GOOS=windows $(GO) vet ./...
	GOOS=freebsd $(GO) vet ./...
	CGO_ENABLED=0 GOARCH=386 $(GO) vet ./... # ints of 32 bits: what most routers have
	CGO_ENABLED=0 GOARCH=arm $(GO) vet ./...
	CGO_ENABLED=0 GOARCH=mipsle $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	cd plugins/example && $(GO) run $(STATICCHECK) ./...
	cd plugins/otel && $(GO) run $(STATICCHECK) ./...
	GO=$(GO) test/vulncheck.sh

deps: ## the Debian packages that tests need
	test/deps.sh

screenshots: deps ## the pictures of the documentation, taken anew
	cd test/page && UMBRA_SCREENSHOTS=$(CURDIR)/docs/images $(GO) test -count=1 -run 'TestScreenshots|TestDemo' .

soak: ## reloads under connections that live on, with 100,000 users
	UMBRA_TEST_SOAK=1 $(GO) test -run TestGenerations -v -parallel 1 -timeout 30m ./test/field

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$pkg; \
	  done; done

bench: deps build bench-go ## against shadowsocks-libev in one run, then Go benchmarks
	$(GO) run ./test/bench -umbra bin/umbra

bench-go:
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 300ms ./core/... ./cipher/... ./outbound/... ./policy/... ./resolver/... ./rule/... ./plugins/...
