<#
.SYNOPSIS
Makes the External network of HNS and keeps the routes to EC2's link-local services.
.DESCRIPTION
Making the first vSwitch takes the connection away for some seconds, so a scheduled task does it, detached from this
session; the answer is then "pending", and the caller connects again and calls once more. With the network there, the
routes to the metadata services are put on the adapter that holds the address now. At every start of the host the same
task runs this script again, and then gives kube-proxy the source VIP of the new overlay network.
See README.md for the JSON.
.PARAMETER Request
JSON object: managementAddress, gateway, network, metadataAddresses, overlay.
.PARAMETER Detached
Set by the scheduled task: make the network here and now, and at a start of the host the source VIP, too.
.EXAMPLE
powershell.exe -File Initialize-NodeNetwork.ps1 -Request (Get-Content -Path C:\k\network.json)
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [Parameter(Mandatory = $true)][string]$Request,
    [switch]$Detached
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$TaskName = 'bootstrap-network'
$ScriptPath = 'C:\k\scripts\Initialize-NodeNetwork.ps1'
$RequestPath = 'C:\k\network.json'

function Get-ManagementInterface {
    param([string]$Address)
    $found = @(Get-NetIPAddress -IPAddress $Address -ErrorAction SilentlyContinue)
    if ($found.Count -eq 0) { throw "WN0501 no adapter has the address $Address" }
    return $found[0].InterfaceIndex
}

function Test-Network {
    param([string]$Name)
    return @(Get-HnsNetwork | Where-Object { $_.Name -eq $Name }).Count -gt 0
}

function Add-Network {
    param($Network)
    $policies = @(@{ Type = 'VSID'; VSID = $Network.vsid })
    $options = @{
        Type = 'Overlay'
        Name = $Network.name
        AddressPrefix = $Network.prefix
        Gateway = $Network.gateway
        SubnetPolicies = $policies
    }
    New-HnsNetwork @options | Out-Null
}

function Register-NetworkTask {
    $arguments = "-NoProfile -ExecutionPolicy Bypass -Command ""& '$ScriptPath' -Detached " +
        "-Request (Get-Content -Raw -Path '$RequestPath')"""
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $arguments
    $trigger = New-ScheduledTaskTrigger -AtStartup
    $principal = New-ScheduledTaskPrincipal -UserId 'SYSTEM' -RunLevel Highest
    Register-ScheduledTask -TaskName $TaskName -Action $action -Trigger $trigger -Principal $principal -Force | Out-Null
}

function Add-MetadataRoute {
    param($Wanted)
    $index = Get-ManagementInterface -Address $Wanted.managementAddress
    $added = @()
    foreach ($address in @($Wanted.metadataAddresses)) {
        $prefix = "$address/32"
        $routes = @(Get-NetRoute -DestinationPrefix $prefix -ErrorAction SilentlyContinue)
        $right = @($routes | Where-Object { $_.InterfaceIndex -eq $index -and $_.NextHop -eq $Wanted.gateway })
        if ($right.Count -gt 0 -and $right.Count -eq $routes.Count) { continue }
        if ($PSCmdlet.ShouldProcess($prefix, 'route')) {
            # A route through another subnet's gateway, left in an image, wins over ours: it goes first.
            $routes | Remove-NetRoute -Confirm:$false
            New-NetRoute -DestinationPrefix $prefix -InterfaceIndex $index -NextHop $Wanted.gateway | Out-Null
        }
        $added += $address
    }
    return , $added
}

function Update-SourceVip {
    param($Overlay)
    & 'C:\k\scripts\Wait-NodeOverlay.ps1' -Request (ConvertTo-Json -InputObject @{
            network = $Overlay.network
            timeoutSeconds = 300
        }) | Out-Null
    & 'C:\k\scripts\Set-SourceVip.ps1' -Request (ConvertTo-Json -InputObject @{
            network = $Overlay.network
            hostLocal = 'C:\k\cni\host-local.exe'
            template = $Overlay.kubeProxyTemplate
            config = $Overlay.kubeProxyConfig
        }) | Out-Null
    if (Get-Service -Name 'kube-proxy' -ErrorAction SilentlyContinue) { Restart-Service -Name 'kube-proxy' -Force }
}

$wanted = ConvertFrom-Json -InputObject $Request
$present = Test-Network -Name $wanted.network.name
$pending = $false
$added = @()
if ($present) {
    $added = @(Add-MetadataRoute -Wanted $wanted)
}
elseif ($Detached) {
    # The session that started this task gets its answer before the connection is cut.
    Start-Sleep -Seconds 2
    Add-Network -Network $wanted.network
    $added = @(Add-MetadataRoute -Wanted $wanted)
    if (Test-Path -Path $wanted.overlay.kubeProxyConfig) { Update-SourceVip -Overlay $wanted.overlay }
}
else {
    $pending = $true
    if ($PSCmdlet.ShouldProcess($wanted.network.name, 'make the network in a task')) {
        Register-NetworkTask
        Start-ScheduledTask -TaskName $TaskName
    }
}
$answer = [ordered]@{
    changed = $pending -or $added.Count -gt 0
    pending = $pending
    routes = $added
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
