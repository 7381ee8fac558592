;; A filter of prompts and responses that does whatever the request's seed says, and mostly harm. The core module
;; behind a component; the words between percent signs are filled in by fixtures.rs.
;;
;; Offsets follow the canonical ABI of wit/filters.wit: in a request-context `seed` is at 56, the body behind it at 112;
;; in an outcome the verdict's tag is at 0, its payload at 4, the carry at 32, the hits at 40; in a batch-result the
;; steps are at 0, the carry at 8, the hits at 16.
(module
  %IMPORTS%
  (memory (export "memory") 4)
  (global $top (mut i32) (i32.const 65536))
  (global $asked (mut i32) (i32.const 0))

  (data (i32.const 16) "hostile" "1.0.0" "{}")
  ;; metadata: name, version, summary, hooks (both filters), view, streams (text), schema, defaults, deterministic
  (data (i32.const 128)
    "\10\00\00\00\07\00\00\00" "\17\00\00\00\05\00\00\00" "\10\00\00\00\00\00\00\00"
    "\0c%VIEW%\01\00" "\1c\00\00\00\02\00\00\00" "\1c\00\00\00\02\00\00\00" "%DETERMINISTIC%\00\00\00")
  ;; an edit: replace-text of part 99 by nothing
  (data (i32.const 512) "\00\00\00\00" "\63\00\00\00" "\10\00\00\00\00\00\00\00")
  ;; an edit: set-header authorization: x
  (data (i32.const 576) "\04\00\00\00" "\80\02\00\00\0d\00\00\00" "\90\02\00\00\01\00\00\00")
  (data (i32.const 640) "authorization") (data (i32.const 656) "x")
  ;; a hit whose rule is text of a prompt, score 1.0
  (data (i32.const 704) "\00\03\00\00\0e\00\00\00" "\00\00\00\00\00\00\f0\3f" "\00\00\00\00\00\00\00\00")
  (data (i32.const 768) "my password is")

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1))))))
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

  (func $verdict (param $tag i32) (param $payload i32) (param $more i32) (result i32)
    (i32.store8 (i32.const 256) (local.get $tag))
    (i32.store (i32.const 260) (local.get $payload))
    (i32.store (i32.const 264) (local.get $more))
    (i32.const 256))

  (func (export "switchyard:plugin/request-filter@0.1.0#filter-request") (param $in i32) (result i32)
    (local $seed i64)
    (call $forget)
    (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
    (memory.fill (i32.const 256) (i32.const 0) (i32.const 48))
    (local.set $seed (i64.load offset=56 (local.get $in)))
    ;; 100: never ends
    (if (i64.eq (local.get $seed) (i64.const 100)) (then (loop $forever (br $forever))))
    ;; 101: traps
    (if (i64.eq (local.get $seed) (i64.const 101)) (then (unreachable)))
    ;; 102: takes memory until refused, then gives up
    (if (i64.eq (local.get $seed) (i64.const 102)) (then
      (loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1))))
      (unreachable)))
    ;; 104: edits a part it was not shown
    (if (i64.eq (local.get $seed) (i64.const 104)) (then
      (return (call $verdict (i32.const 1) (i32.const 512) (i32.const 1)))))
    ;; 105: replaces a body it was not shown
    (if (i64.eq (local.get $seed) (i64.const 105)) (then
      (return (call $verdict (i32.const 2) (i32.const 28) (i32.const 2)))))
    ;; 106: refuses with status 200
    (if (i64.eq (local.get $seed) (i64.const 106)) (then
      (return (call $verdict (i32.const 4) (i32.const 200) (i32.const 16)))))
    ;; 107: an answer as long as an address space
    (if (i64.eq (local.get $seed) (i64.const 107)) (then
      (return (call $verdict (i32.const 3) (i32.const 0) (i32.const 0x7fffffff)))))
    ;; 108: an answer of more than it may hand over, all of it there
    (if (i64.eq (local.get $seed) (i64.const 108)) (then
      (drop (memory.grow (i32.const 300)))
      (return (call $verdict (i32.const 3) (i32.const 65536) (i32.const 0x1200000)))))
    ;; 109: 900 edits that overlap everything in memory
    (if (i64.eq (local.get $seed) (i64.const 109)) (then
      (return (call $verdict (i32.const 1) (i32.const 512) (i32.const 5000)))))
    ;; 110: a verdict that does not exist
    (if (i64.eq (local.get $seed) (i64.const 110)) (then
      (return (call $verdict (i32.const 77) (i32.const 0) (i32.const 0)))))
    ;; 111: carries more than it may
    (if (i64.eq (local.get $seed) (i64.const 111)) (then
      (i32.store (i32.const 288) (i32.const 1024))
      (i32.store (i32.const 292) (i32.const 20000))
      (return (i32.const 256))))
    ;; 112: text of a prompt instead of a rule
    (if (i64.eq (local.get $seed) (i64.const 112)) (then
      (i32.store (i32.const 296) (i32.const 704))
      (i32.store (i32.const 300) (i32.const 1))
      (return (i32.const 256))))
    ;; 113: sets the upstream's credentials
    (if (i64.eq (local.get $seed) (i64.const 113)) (then
      (return (call $verdict (i32.const 1) (i32.const 576) (i32.const 1)))))
    ;; 200: how often this instance was asked, as the length of what it carries
    (if (i64.eq (local.get $seed) (i64.const 200)) (then
      (i32.store (i32.const 288) (i32.const 1024))
      (i32.store (i32.const 292) (global.get $asked))
      (return (i32.const 256))))
    %OTHERWISE%)

  (func (export "switchyard:plugin/response-filter@0.1.0#filter-events") (param $in i32) (result i32)
    (local $seed i64) (local $events i32)
    (call $forget)
    (memory.fill (i32.const 256) (i32.const 0) (i32.const 48))
    (local.set $seed (i64.load offset=56 (local.get $in)))
    (local.set $events (i32.load offset=124 (local.get $in)))
    (if (i64.eq (local.get $seed) (i64.const 100)) (then (loop $forever (br $forever))))
    (if (i64.eq (local.get $seed) (i64.const 101)) (then (unreachable)))
    ;; 120: one step too few
    (if (i64.eq (local.get $seed) (i64.const 120)) (then
      (local.set $events (i32.sub (local.get $events) (i32.const 1)))))
    ;; otherwise one `pass` (or, 121, `hold`) per event, and the carry as it came
    (memory.fill (i32.const 2048) (i32.const 0) (i32.const 32768))
    (if (i64.eq (local.get $seed) (i64.const 121)) (then
      (memory.fill (i32.const 2048) (i32.const 2) (i32.const 1))))
    (i32.store (i32.const 256) (i32.const 2048))
    (i32.store (i32.const 260) (local.get $events))
    (i32.store (i32.const 264) (i32.load offset=112 (local.get $in)))
    (i32.store (i32.const 268) (i32.load offset=116 (local.get $in)))
    (i32.const 256)))
