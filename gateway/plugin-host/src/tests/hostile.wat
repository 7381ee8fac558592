;; A scheduler that does whatever the request's seed says, and mostly harm. The core module behind a component;
;; %HOOKS%, %INIT% and %OTHERWISE% are filled in by hostile.rs.
;;
;; Offsets follow the canonical ABI of wit/scheduling.wit: in a rank-request `seed` is at 48; in a decision the
;; action's tag is at 0, its payload at 4, the scores at 32 and the reason at 40.
(module
  (memory (export "memory") 4)
  (global $top (mut i32) (i32.const 65536))
  (global $asked (mut i32) (i32.const 0))
  (global $rosters (mut i32) (i32.const 0))

  (data (i32.const 16) "hostile" "1.0.0" "{}")
  ;; metadata: name, version, summary, hooks, schema, defaults, deterministic
  (data (i32.const 128)
    "\10\00\00\00\07\00\00\00" "\17\00\00\00\05\00\00\00" "\10\00\00\00\00\00\00\00"
    "%HOOKS%\00\00\00" "\1c\00\00\00\02\00\00\00" "\1c\00\00\00\02\00\00\00" "\01\00\00\00")
  ;; one account nobody knows
  (data (i32.const 512) "\63\00\00\00")

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $forget (global.set $top (i32.const 65536)))

  (func (export "switchyard:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 128))
  (func (export "switchyard:plugin/lifecycle@0.1.0#init") (param i32 i32) (result i32)
    (call $forget)
    %INIT%
    (i32.const 1024))
  (func (export "switchyard:plugin/lifecycle@0.1.0#check-config") (param i32 i32) (result i32)
    (call $forget)
    (i32.const 1024))
  (func (export "switchyard:plugin/scheduling@0.1.0#update-roster") (param i64 i32 i32 i32 i32)
    (call $forget)
    (global.set $rosters (i32.add (global.get $rosters) (i32.const 1))))

  (func $wait_ms (param $ms i32) (result i32)
    (i32.store8 (i32.const 256) (i32.const 1))
    (i32.store (i32.const 260) (local.get $ms))
    (i32.const 256))
  (func $delegate (result i32)
    (i32.store8 (i32.const 256) (i32.const 3))
    (i32.const 256))
  (func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))

  (func (export "switchyard:plugin/scheduling@0.1.0#rank") (param $request i32) (result i32)
    (local $seed i64)
    (call $forget)
    (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
    (memory.fill (i32.const 256) (i32.const 0) (i32.const 48))
    (local.set $seed (i64.load offset=48 (local.get $request)))

    ;; 100: never ends
    (if (i64.eq (local.get $seed) (i64.const 100)) (then (loop $forever (br $forever))))
    ;; 101: traps
    (if (i64.eq (local.get $seed) (i64.const 101)) (then (unreachable)))
    ;; 102: takes memory until refused, then gives up
    (if (i64.eq (local.get $seed) (i64.const 102)) (then
      (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
      (unreachable)))
    ;; 103: recurses without end
    (if (i64.eq (local.get $seed) (i64.const 103)) (then (return (call $deeper))))
    ;; 104: ranks an account that is no candidate
    (if (i64.eq (local.get $seed) (i64.const 104)) (then
      (i32.store (i32.const 260) (i32.const 512))
      (i32.store (i32.const 264) (i32.const 1))
      (return (i32.const 256))))
    ;; 105: one score too few
    (if (i64.eq (local.get $seed) (i64.const 105)) (then
      (drop (call $delegate))
      (i32.store (i32.const 288) (i32.const 512))
      (i32.store (i32.const 292) (i32.const 1))
      (return (i32.const 256))))
    ;; 106: refuses with status 200
    (if (i64.eq (local.get $seed) (i64.const 106)) (then
      (i32.store8 (i32.const 256) (i32.const 2))
      (i32.store16 (i32.const 260) (i32.const 200))
      (return (i32.const 256))))
    ;; 107: a reason as long as an address space
    (if (i64.eq (local.get $seed) (i64.const 107)) (then
      (drop (call $delegate))
      (i32.store (i32.const 296) (i32.const 0))
      (i32.store (i32.const 300) (i32.const 0x7fffffff))
      (return (i32.const 256))))
    ;; 108: a reason of ANSWER_BYTES and more, all of it there
    (if (i64.eq (local.get $seed) (i64.const 108)) (then
      (drop (call $delegate))
      (drop (memory.grow (i32.const 40)))
      (i32.store (i32.const 296) (i32.const 65536))
      (i32.store (i32.const 300) (i32.const 0x200000))
      (return (i32.const 256))))
    ;; 109: a list of accounts longer than the candidates
    (if (i64.eq (local.get $seed) (i64.const 109)) (then
      (i32.store (i32.const 260) (i32.const 1024))
      (i32.store (i32.const 264) (i32.const 900))
      (return (i32.const 256))))
    ;; 110: an action that does not exist
    (if (i64.eq (local.get $seed) (i64.const 110)) (then
      (i32.store8 (i32.const 256) (i32.const 77))
      (return (i32.const 256))))
    ;; 200: how often this instance was asked; 201: how many rosters it was given
    (if (i64.eq (local.get $seed) (i64.const 200)) (then (return (call $wait_ms (global.get $asked)))))
    (if (i64.eq (local.get $seed) (i64.const 201)) (then (return (call $wait_ms (global.get $rosters)))))
    %OTHERWISE%))
