#!/bin/bash
# A range at one address leaves the other ports of that address to the routes for all addresses.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'

apply_config <<'CONFIG'
{"routes":[
 {"name":"range","match":{"ports":"9000-9099","address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"range6","match":{"ports":"9000-9099","address":"fd10::1"},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}},
 {"name":"port","match":{"ports":9100,"address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"all","match":{"ports":[9050,9100,9200,"9300-9399"],"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.3","fd20::3"],"port":7000}]}}]}
CONFIG
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9050
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9100
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9050'
# Same address, ports that only the route for all addresses has.
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9200
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9350
expect_answer 'B|10.20.0.1|hi' udp 10.10.0.1:9050
expect_answer 'B|10.20.0.1|hi' udp 10.10.0.1:9350
expect_answer 'B|fd20::1|hi' tcp '[fd10::1]:9200'
expect_answer 'B|fd20::1|hi' tcp '[fd10::1]:9399'
# Another address: all of them.
expect_answer 'B|10.20.0.1|hi' tcp 10.30.0.1:9050
expect_refused tcp 10.30.0.1:9000
expect_refused tcp 10.10.0.1:9201
expect_exit 0 spctl down
