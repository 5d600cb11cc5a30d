"""From drifted traffic to a promoted version, with the same servers as in production.

state       the loop's own settings, profile and lock
recordings  what is sent to the service
stack       starts and stops the servers
client      sends recordings and feedback
observe     the alert, its route, the run that the trigger starts
scenario    all of it in order, and what is printed
"""
