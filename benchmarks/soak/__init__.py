"""A server under mixed media for a long time: does its memory stay flat, is nobody stuck?"""
